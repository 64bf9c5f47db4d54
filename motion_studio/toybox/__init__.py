"""The built-in world: small rendered clips whose motion is known exactly, and the model trained on them."""
