"""What training longer does without any tie between the modalities: the control of methods that take more steps."""

rows = {
    "cluster contrast": {},
    "three times the epochs": {"train": {"epochs": 18}},
}
