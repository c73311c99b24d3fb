"""`python -m workbench.kernels` compiles all kernels into numba's cache; the installation does it once."""

from workbench.kernels.warming import warm

if __name__ == "__main__":
    warm()
