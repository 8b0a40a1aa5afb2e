"""What people say of answers: kept, and made into questions for training and the exam."""
