"""Networks: layers and tensors, where they come from (zoo, readers), and where they lie in memory (layout)."""
