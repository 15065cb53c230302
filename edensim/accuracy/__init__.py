"""Inference on approximate DRAM with PyTorch: quantized networks whose weights and feature maps are read with bit errors. Needs edensim[torch]."""
