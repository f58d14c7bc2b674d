"""What one kernel computes where a model or torch takes several: only while packs are forwarded.

Each is tried against what it replaces before it is used, and left out where the two differ.

==============================  ===================================================================
`replaced`                      trials, and modules whose forward is exchanged for a while
`norms`                         RMSNorm, to a unit in the last place
`exact_norms`                   RMSNorm to the bit, for LLM.int8
`gates`                         gated MLPs
`rotations`                     rotary embeddings
`triton_elementwise`            kernels of Triton for them
==============================  ===================================================================

A new one is a file here, an entry in `PackForward` (in `tree`), and a test on a GPU.
"""
