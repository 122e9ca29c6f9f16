def backward(gy, x, w):
    return gy @ w.T, x.T @ gy, gy.sum(axis=0)
