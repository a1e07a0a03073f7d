"""What is announced by those who do not know who does the work: `tasks` listens and queues it."""

from django.dispatch import Signal

#: A batch waits for a worker. `batch`: its primary key; `seconds`: not to be begun before (0).
batch_waits = Signal()
#: Chips lack copies. `after`: the primary key of the last chip that was looked at (0: none).
copies_missing = Signal()
#: Of the task that makes them: whatever else waits goes first, that of a batch has 0.
COPIES_PRIORITY = -10
