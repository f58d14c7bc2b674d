"""Loading variants and scoring workloads on them: the only room that knows torch.

===================================================  ==============================================
`runner`, `progressive`, `course`, `part`            which examples are measured on which variant,
                                                     in which parts, each once
`pool`, `residents`, `shared`, `handle`, `device`,   what is in memory, what a test holds of it,
`memory`, `outcome`                                  and errors that keep nothing there
`protocols`, `backends`, `reference`, `selfcheck`    what a backend offers; how variants are
                                                     loaded, and whether they are what they claim
`engine`                                             how models of transformers are asked
`tasks`, `measurement`                               from each kind of workload to requests, and
                                                     from their answers to scores
`pairwise`, `divergence`, `divergence_meter`,        what takes two outputs: of reference and
`parting`, `noise`                                   variant, or of the reference twice
`latency`                                            how long models take to answer
`archive`, `identity`, `kept`                        what the reference scored in earlier runs
`checkup`                                            what `quantcheck doctor` asks of a machine
===================================================  ==============================================
"""
