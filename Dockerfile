# docker build -t respiratory-sounds . && docker run --rm -v "$PWD/reports/local:/project/reports/local" respiratory-sounds
FROM python:3.11-slim
WORKDIR /project
COPY . .
RUN ./run_all.sh python -c "import lib"
ENTRYPOINT ["./run_all.sh"]
