"""reparam: latent-variable generative models, VAE, GAN and everything between."""
