"""What an M-step retrains the reward model on (`rm_data=`), one class and one file each."""
