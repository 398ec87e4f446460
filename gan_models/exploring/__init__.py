"""What somebody who plays with a generator does with it, without any page: `pipeline.explorer` has that."""
