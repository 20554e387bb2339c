import mpmath
import tensorflow as tf

mpmath.mp.dps = 50
t = -10.6
computed = tf.linalg.expm(tf.constant([[t, 0], [0, t]], tf.float64)).numpy()[0, 0]
print(f"computed {float(computed)!r}, exact {mpmath.nstr(mpmath.exp(mpmath.mpf(t)), 20)}")
