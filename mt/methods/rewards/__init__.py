"""What says how good a response is (`reward=`), one class and one file each."""
