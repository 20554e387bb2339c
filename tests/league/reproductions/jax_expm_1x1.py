import jax
import mpmath

jax.config.update("jax_enable_x64", True)
mpmath.mp.dps = 50
computed = complex(jax.scipy.linalg.expm(jax.numpy.array([[0.5 + 0.7j]]))[0, 0])
print(f"computed {computed}, exact {mpmath.nstr(mpmath.exp(mpmath.mpc(0.5, 0.7)), 20)}")
