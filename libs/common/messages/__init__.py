"""The schema library: one file per owning service.

Messages are frozen. Within a major they only grow by optional fields at the end; a field is never
renamed, retyped or reused. Unknown fields are ignored on the bus.
"""
