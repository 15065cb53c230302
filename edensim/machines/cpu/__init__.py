"""Model cores with a cache hierarchy that run a network as loop nests."""
