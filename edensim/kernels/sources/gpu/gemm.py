"""Walk the implicit matrix product (GEMM) of a convolution or linear layer.

All thread blocks that run at the same time advance step by step.
"""

from edensim.kernels.compile import jit
from edensim.kernels.sources.gpu.kernel import load_extras, load_tap, load_warps, store_warps
from edensim.kernels.sources.gpu.l2 import begin_warp, load, store


@jit
def gemm_step(l2, transfers, k, extras, first, end, step):
    """Load what thread blocks [first, end) need for one step.

    They run abreast: each loads its filters, then all load their columns, product after product.
    """
    for block in range(first, end):
        load_filters(l2, transfers, k, block, step)
    for product in range(k["tile_k"]):
        for block in range(first, end):
            load_columns(l2, transfers, k, block, step * k["tile_k"] + product)
    if step == k["steps"] - 1 and extras.shape[0] > 0 and k["splits"] == 1:
        for block in range(first, end):
            low, count = filters_of(k, block)
            load_extras(l2, transfers, extras, low, low + count - 1, k["filters"] * k["groups"])


@jit
def gemm_store(l2, transfers, k, first, end, share):
    """Store a share of the sums of thread blocks [first, end), row after row of each tile."""
    rows = k["tile_n"] if k["rows"] and k["splits"] == 1 else k["tile_m"]
    for row in range(rows * share // k["store_steps"], rows * (share + 1) // k["store_steps"]):
        for block in range(first, end):
            store_row(l2, transfers, k, block, row)


@jit
def filters_of(k, block):
    """Return the first filter of a thread block, counted over all groups, and their number."""
    at = block % k["blocks_m"] * k["tile_m"]
    group = block // (k["blocks_m"] * k["blocks_n"]) % k["groups"]
    return group * k["filters"] + at, min(k["tile_m"], k["filters"] - at)


@jit
def split_of(k, block):
    """Return the number of the share of the depth that a thread block sums up."""
    return block // (k["blocks_m"] * k["blocks_n"] * k["groups"])


@jit
def load_filters(l2, transfers, k, block, step):
    """Load the weights that a thread block needs for a step."""
    deep = (split_of(k, block) * k["steps"] + step) * k["tile_k"]
    depth = min(k["tile_k"], k["depth"] - deep)
    if depth <= 0:
        return
    first, count = filters_of(k, block)
    if k["packed"]:
        group = first // k["filters"] * k["filters"]
        at = group * k["depth"] + deep * k["filters"] + (first - group) * depth
        load_warps(
            l2,
            transfers,
            k["lanes"],
            k["weights"],
            at,
            count * depth,
            k["bits"],
            k["weights_tensor"],
        )
    else:
        begin_warp(l2)
        for filter in range(first, first + count):
            load(
                l2,
                transfers,
                k["weights"],
                filter * k["depth"] + deep,
                depth,
                k["bits"],
                k["weights_tensor"],
            )


@jit
def load_columns(l2, transfers, k, block, product):
    """Load the features that a thread block needs for a product.

    They are a row of the matrix that im2col would make. Products are counted from the begin of the
    block's share of the depth. If an output position is a row of a matrix, the products of a step
    lie side by side, and all of them are loaded with the first.
    """
    deep = split_of(k, block) * k["steps"] * k["tile_k"] + product
    if deep >= k["depth"]:
        return
    first = block // k["blocks_m"] % k["blocks_n"] * k["tile_n"]
    end = min(first + k["tile_n"], k["positions"])
    if k["rows"]:
        if product % k["tile_k"] == 0:
            depth = min(k["tile_k"], k["depth"] - deep)
            for position in range(first, end):
                load_warps(
                    l2,
                    transfers,
                    k["lanes"],
                    k["ifm"],
                    position * k["depth"] + deep,
                    depth,
                    k["bits"],
                    k["ifm_tensor"],
                )
        return
    group = block // (k["blocks_m"] * k["blocks_n"]) % k["groups"]
    taps = k["kernel_height"] * k["kernel_width"]
    channel = deep // taps
    tap = deep - channel * taps
    tap_y = tap // k["kernel_width"]
    tap_x = tap - tap_y * k["kernel_width"]
    offset = (group * (k["depth"] // taps) + channel) * k["height"] * k["width"]
    load_tap(
        l2,
        transfers,
        k,
        first,
        end,
        tap_y * k["dilation_y"] - k["pad_y"],
        tap_x * k["dilation_x"] - k["pad_x"],
        offset,
    )


@jit
def store_row(l2, transfers, k, block, row):
    """Store the outputs of one filter of a thread block.

    If thread blocks share the depth, the outputs are partial sums, filter after filter. If an
    output position is a row of a matrix, the outputs of one position are stored instead, since its
    filters lie side by side.
    """
    filter, filters = filters_of(k, block)
    every = k["filters"] * k["groups"]
    first = block // k["blocks_m"] % k["blocks_n"] * k["tile_n"]
    end = min(first + k["tile_n"], k["positions"])
    if k["rows"] and k["splits"] == 1:
        if first + row < end:
            store_warps(
                l2,
                transfers,
                k["lanes"],
                k["ofm"],
                (first + row) * every + filter,
                filters,
                k["ofm_bits"],
                k["ofm_tensor"],
            )
        return
    if row >= filters:
        return
    if k["splits"] > 1:
        at = (split_of(k, block) * every + filter + row) * k["positions"] + first
        store_warps(l2, transfers, 32, k["ofm"], at, end - first, k["ofm_bits"], k["ofm_tensor"])
    else:
        store_positions(l2, transfers, k, filter + row, first, end)


@jit
def store_positions(l2, transfers, k, filter, first, end):
    """Write output positions [first, end) of a filter by warps, image by image."""
    every = k["filters"] * k["groups"]
    plane = k["out_height"] * k["out_width"]
    while first < end:
        begin_warp(l2)
        warp_end = min(first + k["lanes"], end)
        while first < warp_end:
            image = first // plane
            count = min((image + 1) * plane, warp_end) - first
            store(
                l2,
                transfers,
                k["ofm"],
                (image * every + filter) * plane + first - image * plane,
                count,
                k["ofm_bits"],
                k["ofm_tensor"],
            )
            first += count
