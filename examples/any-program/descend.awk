# Gradient descent with momentum on Rosenbrock's function, in AWK: any program can be tuned.
# Prints one JSON line every 20 steps. Usage: awk -f descend.awk -v rate=... -v momentum=... -v steps=...
BEGIN {
    x = -1.2; y = 1; u = 0; v = 0
    for (step = 1; step <= steps; step++) {
        gx = -400 * x * (y - x * x) - 2 * (1 - x)
        gy = 200 * (y - x * x)
        if (clip > 0) {                       # clip the gradient's length
            length_ = sqrt(gx * gx + gy * gy)
            if (length_ > clip) { gx *= clip / length_; gy *= clip / length_ }
        }
        u = momentum * u - rate * gx; x += u
        v = momentum * v - rate * gy; y += v
        loss = (1 - x) ^ 2 + 100 * (y - x * x) ^ 2
        if (loss > 1e6) { print "diverged: the loss is " loss > "/dev/stderr"; exit 1 }
        if (step % 20 == 0) printf "{\"step\": %d, \"loss\": %.6g}\n", step, loss
    }
}
