"""Measures a detector on this machine, and writes what a scenario may name.

| module | holds |
|---|---|
| `meters`, `sampled` | joules from what the machine has: RAPL, NVML, INA3221, a meter's log |
| `environment` | what the machine is, and whether others were using it |
| `measure` | timed runs, interleaved; their statistics; what a switch of width costs |
| `networks` | the parts of a detector as something to run; the only module that needs torch |
| `take` | all of it, for some detectors at some sizes of picture |
| `sheet`, `write` | the result as a device or server file |
| `drift` | measured again: how far from the file |
"""
