"""LLM.int8 on several sequences at once, each as if it were alone.

Dettmers et al., 2022, arXiv:2208.07339. What is done otherwise than in bitsandbytes, and why:
docs/design/llm-int8.md.

==============================  ===================================================================
`layers`                        the forward of a layer, and of a whole pack
`codes`                         inputs in 8 bits, and their outlier columns in 16
`outliers`, `fused`,            what finds these: by torch's kernels, or by our own
`triton_outliers`
`products`, `triton_products`   what multiplies: bitsandbytes' operators, or our own kernels
`rooms`                         how many outlier columns are expected
==============================  ===================================================================
"""
