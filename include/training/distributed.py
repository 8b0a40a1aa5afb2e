"""Several processes that train one model, a GPU each: what they exchange.

They are started by torchrun (`include/training/process.py` does so where there is more than one GPU), which tells
each its number through the environment. Every process holds the whole model, encodes its share of a batch,
and sees the vectors of all, so that the loss, the gradient and the step are those of one process.
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PATIENCE = timedelta(days=1)  # the first process may wait for a lock while the others wait for it


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: Its number, from 0; the one with 0 writes checkpoints, progress and the result.
        count: How many there are; with one, nothing is exchanged.
    """

    rank: int = 0
    count: int = 1

    def sum(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Replace a tensor, in place, by the sum over all processes."""
        if self.count > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def from_first(self, value: Any) -> Any:
        """What the first process passed here; a small picklable value."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


ALONE = Processes()


def join() -> Processes:
    """Meet the processes that torchrun started with this one; `ALONE` without torchrun."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE
    import torch
    import torch.distributed as dist

    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    return Processes(dist.get_rank(), count)


def leave(processes: Processes) -> None:
    """Part again; harmless for one process."""
    if processes.count > 1:
        import torch.distributed as dist

        dist.destroy_process_group()
