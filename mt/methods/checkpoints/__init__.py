"""Which of a training's models becomes the policy (`policy.checkpoint=`), one class and one file each."""
