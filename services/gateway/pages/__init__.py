"""The documentation: our own pages as Markdown and for people, and answers from an index over them."""
