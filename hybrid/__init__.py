"""A CNN + RNN + Transformer detector for video of manufactured parts."""
