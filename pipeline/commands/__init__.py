"""What the commands of `gan-pipeline` do, one file for each family of commands."""
