"""Draw saved results: one run, several, a sweep, or a command trace. Nothing here simulates."""
