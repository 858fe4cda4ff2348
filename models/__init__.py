"""The networks: plain ``nn.Module`` definitions, no files, no pages, nothing else of ganbook imported."""
