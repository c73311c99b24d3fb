"""`python -m workbench.samplers` compiles all steps into numba's cache; the installation does it once."""

from workbench.samplers.warming import warm_steps

if __name__ == "__main__":
    warm_steps()
