# corruptions
