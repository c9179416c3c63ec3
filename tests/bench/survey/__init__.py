"""What a survey costs: time, memory, and what it is ahead of; `python -m tests.bench.survey` prints it."""
