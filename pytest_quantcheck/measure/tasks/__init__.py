"""How each kind of workload becomes requests, and their answers scores; `dispatch` finds its task.

A task takes a `Job` and returns a `TaskResult`. It asks the loaded variant through the methods of
`LoadedModel` alone, so that no task knows which backend it is.
"""
