"""Drive the compiled kernels: configuration and requests go in, counts come out.

Requests come in chunks and are never held; issued commands go out in chunks. Nothing below this
package knows names or units, and nothing above it knows kernel records.
"""
