"""Sources of prompts and base models (`data=`), one class and one file each."""
