from minicnn.study.exercises.parts import (
    avg_pool2d_backward,
    conv2d_backward,
    cross_entropy_backward,
    global_avg_pool2d_backward,
    linear_backward,
    relu_backward,
)


def backward(gy, saved):
    g = {}
    trunk = cross_entropy_backward(gy, saved.logits, saved.labels)
    trunk, g["gw_fc"], g["gb_fc"] = linear_backward(trunk, saved.mean, saved.w_fc)
    trunk = global_avg_pool2d_backward(trunk, saved.x)

    head = gy.dtype.type(0.3) * gy
    head = cross_entropy_backward(head, saved.aux_logits, saved.labels)
    head, g["gw_fc2"], g["gb_fc2"] = linear_backward(head, saved.dropped, saved.w_fc2)
    head = head * saved.mask
    head = relu_backward(head, saved.hidden)
    head, g["gw_fc1"], g["gb_fc1"] = linear_backward(head, saved.flat, saved.w_fc1)
    head = head.reshape(saved.conv.shape)
    head = relu_backward(head, saved.conv)
    head, g["gw_conv"], g["gb_conv"] = conv2d_backward(head, saved.pooled, saved.w_conv)
    head = avg_pool2d_backward(head, saved.x, 3, stride=2)

    g["gx"] = trunk + head
    return g
