"""What a plan will cost, from configurations alone: tokens, FLOPs, hours, memory, disk, judge calls."""
