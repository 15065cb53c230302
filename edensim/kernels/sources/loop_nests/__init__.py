"""Walk the loop nests of CPU code through a cache hierarchy."""
