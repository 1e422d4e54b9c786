"""client.py requests|httpx [URL BODY]: posts a JSON body and prints the answer and its status; without a URL the version."""
import importlib
import sys

client = importlib.import_module(sys.argv[1])
if len(sys.argv) == 2:
    print(client.__version__)
else:
    body = {"content" if sys.argv[1] == "httpx" else "data": sys.argv[3]}
    answer = client.post(sys.argv[2], headers={"Content-Type": "application/json"}, **body)
    print(answer.text, answer.status_code)
