"""Inference on approximate DRAM with PyTorch; needs edensim[torch].

Networks are quantized, and read their weights and feature maps with bit errors.
"""
