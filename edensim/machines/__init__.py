"""Model the machines that run a network: CPU, GPU, Eyeriss-like and TPU-like."""
