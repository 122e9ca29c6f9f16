from minicnn.study.exercises.parts import conv2d_backward, max_pool2d_backward, relu_backward


def backward(gy, saved):
    g = {}
    c1 = saved.y1.shape[3]
    c3 = c1 + saved.y3.shape[3]
    c5 = c3 + saved.y5.shape[3]
    g1, g3, g5, g_proj = gy[..., :c1], gy[..., c1:c3], gy[..., c3:c5], gy[..., c5:]

    g1 = relu_backward(g1, saved.y1)
    gx1, g["gw1"], g["gb1"] = conv2d_backward(g1, saved.x, saved.w1)

    g3 = relu_backward(g3, saved.y3)
    g3, g["gw3"], g["gb3"] = conv2d_backward(g3, saved.reduced3, saved.w3, padding=1)
    g3 = relu_backward(g3, saved.reduced3)
    gx3, g["gw3_reduce"], g["gb3_reduce"] = conv2d_backward(g3, saved.x, saved.w3_reduce)

    g5 = relu_backward(g5, saved.y5)
    g5, g["gw5"], g["gb5"] = conv2d_backward(g5, saved.reduced5, saved.w5, padding=2)
    g5 = relu_backward(g5, saved.reduced5)
    gx5, g["gw5_reduce"], g["gb5_reduce"] = conv2d_backward(g5, saved.x, saved.w5_reduce)

    g_proj = relu_backward(g_proj, saved.y_proj)
    g_proj, g["gw_proj"], g["gb_proj"] = conv2d_backward(g_proj, saved.pooled, saved.w_proj)
    gx_proj = max_pool2d_backward(g_proj, saved.x, 3, stride=1, padding=1)

    g["gx"] = gx1 + gx3 + gx5 + gx_proj
    return g
