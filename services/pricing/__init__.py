"""Token prices: the pool graph, paths to the anchor, the anchor's oracle, and how sure a price is."""
