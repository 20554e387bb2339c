import mpmath
import numpy as np
from scipy.linalg import expm

mpmath.mp.dps = 50
t = 16.9
computed = expm(np.array([[0, t], [-t, 0]]))[0, 0]
print(f"computed {computed!r}, exact {mpmath.nstr(mpmath.cos(mpmath.mpf(t)), 20)}")
