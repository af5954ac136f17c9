"""How far the simulator is from the same scenario over a real kernel network, stage by stage.

| module | holds |
|---|---|
| `stages` | the arithmetic: two tables of frames in, an error per stage out |
| `verdict` | the same for a whole run folder of each engine, with energy, fates and bounds |
| `engines` | runs both engines on a scenario |
| `pages` | the result as Markdown and as HTML |
"""
