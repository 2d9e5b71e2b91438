"""What can be fetched: where from, how large, under which terms, with which hash. All notebooks."""
