"""The notebook's entry point in a checkout: ``python app.py``. Hugging Face Spaces runs this file."""

from ganbook.run import main

if __name__ == "__main__":
    main()
