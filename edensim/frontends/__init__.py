"""The machines: a network and a machine's configuration to what the machine asks of memory."""
