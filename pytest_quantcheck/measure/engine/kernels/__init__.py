"""What one kernel computes where a model or torch takes several: only while packs are forwarded.

Each is tried against what it replaces before it is used, and left out where the two differ.

==============================  ===================================================================
`replaced`                      trials, and modules whose forward is exchanged for a while
`norms`                         RMSNorm, to a unit in the last place
`exact_norms`                   RMSNorm to the bit, for LLM.int8
`gates`                         gated MLPs
`rotations`                     rotary embeddings
`four_bit`                      weights of bitsandbytes in NF4 and FP4, dequantized
`log_softmax`                   log-softmax where only some of the values are needed
`merges`                        attention in parts
`triton_elementwise`,           kernels of Triton for them
`triton_four_bit`,
`triton_log_softmax`,
`triton_merges`
==============================  ===================================================================

A new one is a file here, a test on a GPU, and an entry in `PackForward` (in `tree`) where it takes
the place of a module or function of the model.
"""
