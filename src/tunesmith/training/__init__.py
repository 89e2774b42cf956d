"""What a training program uses: learning-rate schedules, and the search for a learning rate and a batch size."""
