"""The dialects of the house: how each surface reads who is calling and how it says success and error."""
