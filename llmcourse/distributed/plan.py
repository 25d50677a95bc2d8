"""Arithmetic before a large run: memory by ZeRO's stages, failures, checkpoints, utilisation."""

import math

__all__ = ["daly", "mfu", "useful_share", "young", "zero_bytes"]

# Bytes a parameter in mixed precision with Adam: weights and gradients in 16 bits, and the
# optimiser's own float32 copy of the weights with two means.
WEIGHTS, GRADIENTS, OPTIMIZER = 2, 2, 12


def zero_bytes(parameters: float, processes: int, stage: int) -> float:
    """Bytes of weights, gradients and optimiser state on each process (activations come on top).

    Stage 0 is plain data parallelism; 1 shares out the optimiser's state, 2 the gradients, too,
    3 the weights as well. Rajbhandari et al. (2020), figure 1.

    Example:
        >>> [round(zero_bytes(7.5e9, 64, s) / 1e9, 1) for s in range(4)]
        [120.0, 31.4, 16.6, 1.9]
    """
    if parameters < 0 or processes < 1 or stage not in (0, 1, 2, 3):
        raise ValueError(
            "parameters must be ≥ 0, processes ≥ 1 and stage in 0..3, "
            f"got {parameters}, {processes} and {stage}"
        )
    shared = [OPTIMIZER, GRADIENTS, WEIGHTS][:stage]
    kept = WEIGHTS + GRADIENTS + OPTIMIZER - sum(shared)
    return parameters * (kept + sum(shared) / processes)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be above 0 and finite, got {value}")


def young(save: float, mtbf: float) -> float:
    """The time to compute between two checkpoints, √(2 · save · mtbf), in the unit of both.

    `save` is what a checkpoint costs, `mtbf` the mean time between failures. Young (1974).
    """
    _positive(save=save, mtbf=mtbf)
    return math.sqrt(2 * save * mtbf)


def daly(save: float, mtbf: float) -> float:
    """As `young`, with two more terms of the series; the mtbf where a save costs twice that.

    Daly (2006).
    """
    _positive(save=save, mtbf=mtbf)
    if save >= 2 * mtbf:
        return mtbf
    ratio = save / (2 * mtbf)
    return young(save, mtbf) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def useful_share(interval: float, save: float, mtbf: float, restart: float = 0.0) -> float:
    """The share of a long run's time that ends up in the weights, failures being memoryless.

    Daly (2006): a run of useful length T takes M e^{R/M} (e^{(τ+δ)/M} − 1) T/τ, with interval τ,
    save δ, restart R and mean time between failures M.
    """
    _positive(interval=interval, save=save, mtbf=mtbf)
    if restart < 0:
        raise ValueError(f"restart must be at least 0, got {restart}")
    takes = mtbf * math.exp(restart / mtbf) * math.expm1((interval + save) / mtbf)
    return interval / takes


def mfu(tokens_per_second: float, flops_per_token: float, peak: float) -> float:
    """Model FLOP utilisation: operations the model needs a second, over the hardware's peak.

    `flops_per_token` is of training: three times `GPT.flops_per_token`. What is computed twice to
    save memory does not count. Chowdhery et al. (2022), appendix B.
    """
    _positive(tokens_per_second=tokens_per_second, flops_per_token=flops_per_token, peak=peak)
    return tokens_per_second * flops_per_token / peak
