"""What is trained beside the classifier for asking."""
